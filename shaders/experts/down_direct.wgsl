// Second grouped product of `experts`, for dim and widths that are multiples of 4, in tiles of lib/product_direct.wgsl.
// lib/down.wgsl says the rest.
#import lib/product_direct.wgsl
#import lib/down.wgsl held=Four loads=load_fours saves=save_fours
