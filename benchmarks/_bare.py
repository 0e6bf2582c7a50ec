"""A bare Starlette app around a bundle's ONNX: the bound that `benchmarks.serve` compares with.

`python -m benchmarks._bare BUNDLE PORT`: POST / with {"state": [640 numbers], "low": [...], "high": [...]}.
"""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


def main() -> None:
    bundle, port = sys.argv[1], int(sys.argv[2])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(f"{bundle}/policy.onnx", options, providers=["CPUExecutionProvider"])

    async def answer(request: Request) -> JSONResponse:
        asked = await request.json()
        given = {name: np.array([asked[name]], np.float32) for name in ("state", "low", "high")}
        return JSONResponse({"share": session.run(["share"], given)[0][0].tolist()})

    app = Starlette(routes=[Route("/", answer, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


if __name__ == "__main__":
    main()
