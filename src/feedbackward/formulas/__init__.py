"""From weights to coefficients, as formulas that no framework owns.

Every function takes a namespace ``xp`` first, which has sin, exp, log1p, where, clip, stack, sigmoid ... by these names
and argument orders: ``torch``, ``keras.ops``, or :data:`feedbackward.formulas.arrays.numpy`. Arguments are arrays of
that namespace, of one dtype, already checked; derivatives are the framework's. :mod:`feedbackward.design` is these
formulas for PyTorch, with checks, promotion and broadcasting; the layers of Keras call them as they are.
"""
