def test_probe(server):
    from tests.e2e.hapi.test_consents_of_hapi import patient, consent
    server.load([patient("zz", "zz-1")]); server.load([consent(f"zz-{n}", "zz") for n in range(120)])
    for h in ("no-cache", "no-store", "no-cache, no-store", ""):
        r = server.client.get(f"{server.base}/Consent?patient=Patient/zz&_count=20", headers={"Cache-Control": h} if h else {}).json()
        print("PROBE", repr(h), r.get("total"), len(r.get("entry", [])), [l["relation"] for l in r["link"]])
    r = server.client.get(f"{server.base}/Consent?patient:identifier=http://example.org/mrn|zz-1")
    print("PROBE ident", r.status_code, r.text[:300])
    r = server.client.get(f"{server.base}/Consent?patient=Patient/zz&nonsense=1", headers={"Prefer":"handling=strict"}); print("PROBE strict", r.status_code)
