// First grouped product of `routed_experts`, which norms the rows, for dim and widths that are multiples of 4, in tiles
// of lib/product. lib/gate_up.wgsl says the rest.
#import lib/product
#import lib/gate_up.wgsl held=Four loads=load_fours saves=save_fours rows=normed_token_rows
