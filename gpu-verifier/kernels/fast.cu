// Fast mode: bf16 between operations, tensor cores, sums in any order.
