// linear as in nn/linear, in tiles of lib/product_direct.wgsl: no workgroup memory, few rows by many columns.
// Bindings and grid as there.
#import lib/product_direct.wgsl
#import lib/linear.wgsl held=Four loads=load_fours saves=save_fours
#import lib/linear_tile.wgsl
