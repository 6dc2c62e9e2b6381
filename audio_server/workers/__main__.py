"""How the supervisor starts a worker: `python -m audio_server.workers ...`."""

import signal

if __name__ == "__main__":
    # Ctrl-C and a hangup go to all processes of a terminal, and are the supervisor's to answer.
    # Signals during earlier imports would end the worker with a traceback.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)

    from audio_server.workers.worker import main

    main()
