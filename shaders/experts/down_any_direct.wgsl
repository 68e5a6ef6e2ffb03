// Second grouped product of `experts`, for any sizes, element by element, in tiles of lib/product_direct.wgsl.
// lib/down.wgsl says the rest.
#import lib/product_direct.wgsl
#import lib/down.wgsl held=One loads=load_ones saves=save_ones
