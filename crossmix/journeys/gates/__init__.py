"""What a response model must show before it is registered: a criterion a file, each registers itself.

| gate                | shown                                                                                       |
|---------------------|---------------------------------------------------------------------------------------------|
| `journey.apart`     | nobody that training used is judged on, and none that ingest holds out was learned from     |
| `journey.budget`    | budgets are spent and not passed, as served, at test users' own prices; lambda is no other's |
| `journey.causal`    | changing the steps after t, times included, changes nothing that is said at t               |
| `journey.imitation` | MTORL tells the log's next channel better than a cache mixture, where journeys tell of it   |
| `journey.latency`   | processor time of an answer                                                                 |
| `journey.response`  | AUC above own click share's on the channel; slope of clicks; clicks, conversions, value     |
|                     | predicted over observed                                                                     |
| `journey.value`     | revenue per cost above the log's policy and above eq. 17's, with the budget spent           |
"""
