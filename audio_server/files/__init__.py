"""Files and folders: small reads within bounds, and changes that are whole or not made at all."""
