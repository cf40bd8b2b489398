"""Lists of sensitive codes and terms as facts, each with its source, version and licence; and what writes them."""
