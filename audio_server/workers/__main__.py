"""How the supervisor starts a worker: `python -m audio_server.workers ...`."""

import signal

if __name__ == "__main__":
    # Ctrl-C goes to all processes of a terminal; it is the supervisor's to answer. Whatever is
    # imported before this line is time in which it would end the worker with a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    from audio_server.workers.worker import main

    main()
