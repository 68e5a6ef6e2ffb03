// The same as nn/qkv for any size. lib/qkv.wgsl says the rest.
#import lib/product
#import lib/qkv.wgsl held=One loads=load_ones saves=save_ones
