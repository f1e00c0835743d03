"""What every part owes to its user, as checks to run on parts of one's own.

Each check takes a part, tries it on small models and data that are made here, and raises an
``AssertionError`` whose sentence says which promise is broken. Darkroom's own parts pass the same
checks. In a test of one's own::

    from darkroom.testing.images.attacks import check_attack

    def test_my_attack() -> None:
        check_attack(MyAttack(steps=20))
"""
