"""`python -m audio_server` is the `audio-server` command."""

from audio_server.cli import main

if __name__ == "__main__":
    main()
