"""The identity of a device, and its proof: TLS, client certificates, tokens.

`tls` makes contexts out of files, `tls_acceptor` takes connections through the handshake.
`authenticator` proves that a call is from the device that it names, by a certificate or by a token;
`tokens` is the file of tokens, `token_reloader` and `certificate_watch` follow changes of files.
`access_policy` combines all that the settings ask for. `dev_certs` makes certificates for a trial.
"""
