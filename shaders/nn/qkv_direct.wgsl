// The same as nn/qkv without workgroup memory for the factors. lib/qkv.wgsl says the rest.
#import lib/product_direct.wgsl
#import lib/qkv.wgsl held=Four loads=load_fours saves=save_fours
