// Elements as a buffer holds them: single ones, or fours where all its lines have a multiple of 4.
alias One = f32;
alias Four = vec4<f32>;
