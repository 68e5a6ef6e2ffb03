// First grouped product of `experts`, for any sizes, element by element, in tiles of lib/product.
// lib/gate_up.wgsl says the rest.
#import lib/product
#import lib/gate_up.wgsl held=One loads=load_ones saves=save_ones rows=token_rows
