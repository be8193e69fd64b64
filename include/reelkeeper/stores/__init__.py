"""Where bytes live: small protocols, one module per backend, and the transfer engine between them."""
