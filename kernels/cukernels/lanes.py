"""Numbers that stand side by side in a row, as one vector register: for compiled loops whose arrays are too many for the
compiler to prove that they don't overlap, which it wants before it uses such registers by itself.

A vector is 64 bytes; machines with shorter registers take several. Arrays are C-contiguous, one axis, float32 or float64;
an index is that of the first number and is not checked. These exist in compiled code only.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

_BITS = 512


class Lanes(types.Type):
    """The type of a vector of `dtype`."""

    def __init__(self, dtype):
        self.dtype, self.count = dtype, _BITS // dtype.bitwidth
        super().__init__(f"Lanes({dtype})")

    def llvm(self):
        return ir.VectorType(ir.FloatType() if self.dtype == types.float32 else ir.DoubleType(), self.count)


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, kind.llvm())


def _place(context, builder, array, data, index):
    pointer = builder.gep(context.make_array(array)(context, builder, data).data, [index])
    return builder.bitcast(pointer, Lanes(array.dtype).llvm().as_pointer())


@intrinsic
def load(typing, array, index):
    """array[index:] as a vector."""
    def generate(context, builder, signature, args):
        return builder.load(_place(context, builder, array, *args), align=array.dtype.bitwidth // 8)
    return Lanes(array.dtype)(array, types.intp), generate


@intrinsic
def store(typing, array, index, value):
    """array[index:] = the vector `value`."""
    def generate(context, builder, signature, args):
        builder.store(args[2], _place(context, builder, array, *args[:2]), align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()
    return types.none(array, types.intp, value), generate


@intrinsic
def fill(typing, number):
    """A vector of one number, float32 or float64."""
    def generate(context, builder, signature, args):
        one = builder.insert_element(ir.Constant(signature.return_type.llvm(), ir.Undefined), args[0], ir.IntType(32)(0))
        return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), signature.return_type.count), None))
    return Lanes(number)(number), generate


@intrinsic
def add(typing, a, b):
    return a(a, b), lambda context, builder, signature, args: builder.fadd(*args)


@intrinsic
def sub(typing, a, b):
    return a(a, b), lambda context, builder, signature, args: builder.fsub(*args)


@intrinsic
def mul(typing, a, b):
    return a(a, b), lambda context, builder, signature, args: builder.fmul(*args)


@intrinsic
def madd(typing, a, b, c):
    """a b + c, rounded twice, as on the device: so what leaves a node enters its neighbour to the last bit, and a picture
    that nothing holds keeps its balance at any contrast."""
    def generate(context, builder, signature, args):
        return builder.fadd(builder.fmul(args[0], args[1]), args[2])
    return a(a, b, c), generate


@intrinsic
def total(typing, a):
    """Sum of a vector's numbers."""
    def generate(context, builder, signature, args):
        parts = [builder.extract_element(args[0], ir.IntType(32)(n)) for n in range(a.count)]
        while len(parts) > 1:
            parts = [builder.fadd(first, second) for first, second in zip(parts[::2], parts[1::2])]
        return parts[0]
    return a.dtype(a), generate


@intrinsic
def evens(typing, a, b):
    """The numbers at even places of a, then those of b."""
    return a(a, b), lambda context, builder, signature, args: _every_second(builder, a, args, 0)


@intrinsic
def odds(typing, a, b):
    """Those at odd places."""
    return a(a, b), lambda context, builder, signature, args: _every_second(builder, a, args, 1)


def _every_second(builder, kind, args, first):
    places = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), list(range(first, 2 * kind.count, 2)))
    return builder.shuffle_vector(*args, places)


@intrinsic
def zipped(typing, a, b, half):
    """a[0], b[0], a[1] ...: the first half of them, or the second (half is a literal 0 or 1)."""
    def generate(context, builder, signature, args):
        begin = half.literal_value * a.count // 2
        places = [n + m * a.count for n in range(begin, begin + a.count // 2) for m in (0, 1)]
        return builder.shuffle_vector(*args[:2], ir.Constant(ir.VectorType(ir.IntType(32), a.count), places))
    return (a(a, b, half), generate) if isinstance(half, types.IntegerLiteral) else None
