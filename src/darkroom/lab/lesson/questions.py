"""The lesson's questions, with what to do on which page; imports no PyTorch."""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """Something to do.

    Attributes:
        text: What.
        path: The page, with its knobs set.
        page: What the link says.
    """

    text: str
    path: str
    page: str


class Question(NamedTuple):
    """One question of the lesson.

    Attributes:
        key: Names it in addresses.
        title: The question.
        about: What it is about.
        guess: What to write down before looking.
        steps: What to do on the pages, about two minutes.
        meaning: What the answer means, whatever the figures.
    """

    key: str
    title: str
    about: str
    guess: str
    steps: tuple[Step, ...]
    meaning: str


QUESTIONS = (
    Question(
        "average",
        "Whose is the blurry average face?",
        "Every attack of this lab begins with the same picture, the average of many photos of "
        "strangers. The attacker needs nothing but photos from the street to make it.",
        "How sure is the model that this picture is the person you chose?",
        (
            Step(
                "Start an attack and press Pause at once. Look at the picture and its confidence. "
                "Go on, and rewind to the beginning.",
                "/develop?access=weights&prior=eigenfaces&defense=none&pace=watch",
                "Develop, with the weights",
            ),
        ),
        "The average face is nobody. It is where the search begins, and says nothing of any "
        "training photo. What comes after it came out of the model.",
    ),
    Question(
        "confidence",
        "What does the confidence score do for the attacker?",
        "A service that answers “Ada, 31%” tells whether the last change of the picture "
        "was a good one. One that answers “Ada” does not.",
        "How many more queries does an attacker need who sees the name alone?",
        (
            Step(
                "Attack the same person with every confidence.",
                "/develop?access=scores&defense=none&pace=watch",
                "Develop, with every confidence",
            ),
            Step(
                "And with the name alone.",
                "/develop?access=label&defense=none&pace=watch",
                "Develop, with the name alone",
            ),
        ),
        "The score is the slope that the attacker climbs. Without it the attack costs more; it "
        "does not become impossible.",
    ),
    Question(
        "enhance",
        "“Enhance”: where does the detail come from?",
        "In films a blurry picture is sharpened until somebody can be recognised. An attack on a "
        "model sharpens too. Part of what it shows it knew beforehand, of faces in general.",
        "With which prior will the picture look sharper, and with which will the judges agree?",
        (
            Step(
                "Attack with free pixels around the average face.",
                "/develop?access=weights&prior=mean&pace=watch",
                "Develop, with the average face",
            ),
            Step(
                "And with eigenfaces.",
                "/develop?access=weights&prior=eigenfaces&pace=watch",
                "Develop, with eigenfaces",
            ),
        ),
        "What makes it look like a face comes from the prior; which face it is comes from the "
        "model. A sharp picture proves nothing: ask by how many bits it narrows the person down.",
    ),
    Question(
        "certainty",
        "99.9%: is it the person?",
        "The model's confidence is about the model. It was never asked whether what it sees is a "
        "face at all.",
        "Can a picture of nobody make the model as sure?",
        (
            Step(
                "Start with noise that fools the model beside the attack. Compare the two figures, "
                "then the votes of the judges.",
                "/develop?access=weights&noise=on&pace=watch",
                "Develop, with noise beside it",
            ),
        ),
        "A confidence is no evidence that a person was found. Judges who share nothing with the "
        "model are, once a gate has refused what passes for no face.",
    ),
    Question(
        "limits",
        "How far do ten queries a day get an attacker?",
        "A limit does not stop an attack. It turns queries into days, and more accounts turn days "
        "back into hours.",
        "For how long would ten queries a day hold?",
        (
            Step(
                "Start, and move the slider of queries a day while the attack runs. Then give the "
                "attacker a hundred accounts.",
                "/defend?defense=none&defense=label-only",
                "Defend, with a limit",
            ),
        ),
        "A limit buys time in proportion to how hard it is to get another account. It is worth "
        "what the model's lifetime is: retrain it before the days are over.",
    ),
    Question(
        "rounding",
        "Do rounding and noise help?",
        "Answers can be rounded, or made a little wrong. Whoever knows of it can average, or walk "
        "across the steps.",
        "Which of the defences will still stand at the end?",
        (
            Step(
                "Set rounding and noise side by side, against an attacker who knows.",
                "/defend?defense=none&defense=rounding-1&defense=noise&defense=sticky-noise",
                "Defend, against who knows",
            ),
            Step(
                "And against one who does not know.",
                "/defend?defense=none&defense=rounding-1&defense=noise&defense=sticky-noise"
                "&told=off",
                "Defend, against who does not",
            ),
        ),
        "A defence is worth what it stops once the attacker knows of it. What is gained against "
        "one who does not is lost with the first blog post.",
    ),
    Question(
        "flat",
        "What if the model is trained to be sure of nothing?",
        "An attack climbs from a picture of nobody to a picture of somebody. A model can be "
        "trained to answer evenly to all that is not a sharp photo of one person, so that there "
        "is nothing to climb.",
        "Does it help against an attacker who sees the name alone?",
        (
            Step(
                "Set the model that was trained for flat confidence beside the other.",
                "/defend?defense=none&training=uniform-confidence",
                "Defend, with another model",
            ),
        ),
        "It takes away the slope, and not the knowledge: a face still has a name.",
    ),
    Question(
        "privacy",
        "What does differential privacy change?",
        "DP-SGD limits what one photo may add to a step of the training, and drowns the rest in "
        "noise. It is the one defence with a proof; epsilon says how much it promises.",
        "Will the model still work, and will its people still come out of it?",
        (
            Step(
                "Set the model that was trained with DP-SGD beside the other. Look at the "
                "accuracy that stands with each.",
                "/defend?defense=none&training=dp-sgd",
                "Defend, with differential privacy",
            ),
        ),
        "Privacy is paid for in accuracy. And epsilon here is for one photo: of a person with "
        "many, it promises much less than of a person with one.",
    ),
    Question(
        "secret",
        "What was under the mask?",
        "A language model completes sentences. If a code stood in its training data, the code may "
        "be the likeliest completion.",
        "How often must a code be in the training data before the model gives it away?",
        (
            Step(
                "Start a search for a secret that is there often. Then move the slider to once, "
                "and to never.",
                "/secrets",
                "Secrets",
            ),
        ),
        "What is repeated is learned by heart. Take duplicates out of training data, and do not "
        "train on what must not be said.",
    ),
    Question(
        "attribute",
        "What does the model tell of a patient that statistics do not?",
        "Much of a patient can be guessed from other patients. That is no leak of the model. What "
        "counts is what asking the model adds.",
        "Of ten patients the model learned from, for how many will it tell the hidden value?",
        (
            Step(
                "Look at ten patients the model learned from, and show the truth of each.",
                "/attributes?who=members",
                "Attributes, members",
            ),
            Step(
                "And at ten it never saw.",
                "/attributes?who=others",
                "Attributes, others",
            ),
        ),
        "An attack that beats imputation on members alone reads what the model remembers. Where it "
        "beats imputation on everybody, the model itself carries the link.",
    ),
)
"""In the order in which they build on one another."""

BY_KEY = {one.key: one for one in QUESTIONS}
