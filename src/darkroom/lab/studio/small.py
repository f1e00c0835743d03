"""Which plan the lab shows: that of the demo, or of a small model that it makes in some seconds."""

from __future__ import annotations

from pathlib import Path

from darkroom.auditing.progress import Reporter

PLAN = """\
# Written by `darkroom lab`. Audit the same with: darkroom audit {plan}
[run]
name = "lab"
seed = 0
out = "{out}"

[target]
kind = "torch"
load = "darkroom.demo.face_net:small_face_net"
weights = "face_net.safetensors"
shape = [3, 64, 64]
outputs = "logits"

[private]
images = "employees"
trained_on = "0:{trained_on}"

[public]
images = "strangers"

[judges]
strangers = "bystanders.npz"
steps = 250

[[attack]]                      # who has the weights
name = "gradient"
prior = "eigenfaces"

[[attack]]                      # who sees every confidence
name = "evolution"
rows = 1000

[[attack]]                      # who sees the winning name alone
name = "surrogate"
rows = 300
"""


def found_or_made(out: Path, reporter: Reporter) -> Path:
    """Returns the plan of the demo if that was run, and otherwise of a small model made here.

    Args:
        out: The folder of all runs; the small model goes to ``out/lab-inputs``.
        reporter: Shows the stages.

    Raises:
        DarkroomError: If the folder cannot be written.
    """
    # The plan is written last, and tells that all is there.
    for one in (out / "demo-inputs" / "plan.toml", out / "lab-inputs" / "plan.toml"):
        if one.exists():
            return one
    from darkroom.demo.face_net import SMALL_CLASSES
    from darkroom.demo.images import Cast, make_inputs

    cast = Cast(SMALL_CLASSES, 18, 12, 100, 2, 50, 2, epochs=12)
    make_inputs(one.parent, cast, 0, reporter)
    text = PLAN.format(plan=one.as_posix(), out=out.as_posix(), trained_on=cast.trained_on)
    one.write_text(text, encoding="utf-8")
    return one
