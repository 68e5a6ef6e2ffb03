// Above this a sum of squares may be infinite; it is then taken of values times 2^-72, beside which eps is nothing.
const OVERFLOWING: f32 = 1.0e38;
const SHRINK: f32 = 0x1p-72;
