// Proofs of hidden states: the largest elements of a block, and polynomials modulo 65497.
