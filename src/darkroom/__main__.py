"""``python -m darkroom`` is ``darkroom``."""

from darkroom.commands.main import main

if __name__ == "__main__":
    main()
