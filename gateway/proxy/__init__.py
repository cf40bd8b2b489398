"""The policy enforcement point: the raw ASGI data plane.

In: HTTP requests for `/{tenant}/{route}/...`. Out: `Recorded` bytes, or an OperationOutcome that never tells whether
something exists. `exchange` reads the whole journey on one screen. Served by uvicorn, put together by `bootstrap`.
"""
