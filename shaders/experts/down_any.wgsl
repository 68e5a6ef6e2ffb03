// Second grouped product of `experts`, for any sizes, element by element, in tiles of lib/product.
// lib/down.wgsl says the rest.
#import lib/product
#import lib/down.wgsl held=One loads=load_ones saves=save_ones
