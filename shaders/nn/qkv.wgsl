// qkv: the queries, keys and values of a block, with the norm ahead of them and the rotation behind them, for sizes and
// offsets that are multiples of 4. lib/qkv.wgsl says the rest.
#import lib/product
#import lib/qkv.wgsl held=Four loads=load_fours saves=save_fours
