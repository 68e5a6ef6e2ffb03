// linear: y[m, n] = residual + gate * activation(x[m, k] weight[n, k]^T + bias), for k and n that are multiples of 4.
//
// Tiling: a tile of lib/product a workgroup. Bindings: params, x, weight, bias, residual, gate, y.
// Grid: one workgroup per tile, flat, columns fastest.
#import lib/product
#import lib/linear.wgsl held=Four loads=load_fours saves=save_fours
#import lib/linear_tile.wgsl
