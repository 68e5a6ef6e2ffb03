// Sum over a token's experts, for any dim, element by element. lib/combine.wgsl says the rest.
#import lib/combine.wgsl held=One loads=load_ones saves=save_ones
