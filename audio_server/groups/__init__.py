"""Settings of groups and of single devices: which count, and the sounds and rules they make.

`overrides` is the precedence as pure functions, `tables` and `kept` are where settings come from,
`folders` are the clips of groups and `repositories` their changes, `profiles` make a device's
profile, and `groups` is all of it in the process that knows the tags of devices.
"""
