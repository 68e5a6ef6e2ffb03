// Second grouped product of `experts`, for dim and widths that are multiples of 4, in tiles of lib/product.
// lib/down.wgsl says the rest.
#import lib/product
#import lib/down.wgsl held=Four loads=load_fours saves=save_fours
