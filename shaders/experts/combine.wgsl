// Sum over a token's experts, for a dim that is a multiple of 4. lib/combine.wgsl says the rest.
#import lib/combine.wgsl held=Four loads=load_fours saves=save_fours
