"""Small programs of servers that are not ours: each is written to a file and run by its own Python.

They are told their port as their only argument, and serve on loopback.
"""

from __future__ import annotations

LITSERVE = """
import sys
import litserve as ls


class Faces(ls.LitAPI):
    def setup(self, device):
        self.seen = 0

    def decode_request(self, request):
        return request["inputs"]

    def predict(self, rows):
        return [[0.7345, 0.2155, 0.05] for _ in rows]

    def encode_response(self, scores):
        return {"scores": scores}


if __name__ == "__main__":
    server = ls.LitServer(Faces(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
"""

LITSERVE_OPENAI = """
import sys
import litserve as ls


class Speaker(ls.LitAPI):
    def setup(self, device):
        pass

    def predict(self, prompt):
        yield from ("hello ", "there")


if __name__ == "__main__":
    server = ls.LitServer(Speaker(spec=ls.OpenAISpec()), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
"""

FASTAPI = """
import io
import sys
import numpy as np
import uvicorn
from fastapi import FastAPI, File, Form, UploadFile
from PIL import Image

app = FastAPI()


@app.post("/verify")
async def verify(image: UploadFile = File(...), threshold: float = Form(0.5)):
    photo = np.asarray(Image.open(io.BytesIO(await image.read())).convert("L"), float) / 255
    powers = np.exp([photo.mean(), photo[: len(photo) // 2].mean(), 0.1])
    return {"scores": (powers / powers.sum()).tolist(), "embedding": photo.mean(axis=0).tolist()}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""

MLFLOW = """
import subprocess
import sys
from pathlib import Path
import mlflow.sklearn
import numpy as np
from sklearn.linear_model import LogisticRegression

rows = np.random.default_rng(0).normal(size=(90, 4))
model = LogisticRegression().fit(rows, rows[:, :3].argmax(axis=1))
place = Path("model").resolve()
mlflow.sklearn.save_model(model, str(place), pyfunc_predict_fn="predict_proba")
program = str(Path(sys.executable).with_name("mlflow"))
serve = ["models", "serve", "-m", str(place), "--env-manager", "local", "--host", "127.0.0.1"]
raise SystemExit(subprocess.call([program, *serve, "--port", sys.argv[1]]))
"""
