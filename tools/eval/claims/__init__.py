"""One module a claim: what is run, what is gathered, how it is shown."""
