// linear as in nn/linear for any k and n, element by element. Bindings and grid as there.
#import lib/product
#import lib/linear.wgsl held=One loads=load_ones saves=save_ones
#import lib/linear_tile.wgsl
