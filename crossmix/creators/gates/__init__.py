"""What a planner of creators must show before it is registered: a criterion a file, each registers itself.

| gate                  | shown                                                                                    |
|-----------------------|------------------------------------------------------------------------------------------|
| `creators.rules`      | no plan breaks a rule, told by the check that knows no solver                            |
| `creators.gap`        | mean and least share of the dual bound                                                   |
| `creators.lead`       | effect over the template with its leftovers spent, by effects that no planner saw        |
| `creators.predictor`  | calibration on past results that were held out                                           |
| `creators.seconds`    | processor time of a plan                                                                 |
"""
