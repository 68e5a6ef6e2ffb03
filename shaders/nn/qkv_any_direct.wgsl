// The same as nn/qkv_direct for any size. lib/qkv.wgsl says the rest.
#import lib/product_direct.wgsl
#import lib/qkv.wgsl held=One loads=load_ones saves=save_ones
