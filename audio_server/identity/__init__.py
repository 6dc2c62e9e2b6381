"""Who a device is, and how the server knows: TLS, client certificates, tokens.

`tls` makes contexts out of files, `door` takes connections through the handshake. `check` says
whether a call is the device's that it names, by a certificate or by a token; `tokens` is the file
of them. `guard` puts together what settings ask for. `dev_certs` makes certificates to try it out.
"""
