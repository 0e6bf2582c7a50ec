"""User journeys: which channel a user meets next, whether the user clicks there, and whether to spend on that at all.

`log` reads users' exposures in order, `layout` says what of them is a feature, `windows` splits by user and cuts steps,
`encoder` turns steps into hidden states by MTORL (`mtorl`) or a GRU, `learn` trains, `references` has what they have to
beat, `score` says how well they predict, `told` whether a log has anything to learn (docs/deviations.md).
"""
