"""Creator matrices: a brief becomes channel x phase x tier with named creators, and a bound on all plans.

`catalogue` reads who can be bought, `generated` makes a catalogue by public laws, `brief` says what is wanted, `matrix`
what a plan must keep, `effect` what a creator is expected to give; `problem` puts the four together, `relax` bounds it,
`solve` plans it, `worker` does so in a process of its own. `fill` repairs and spends leftovers, `reference` has the
simple planners, `walk` and `ddpg` are the seed's way (docs/deviations.md).
"""
