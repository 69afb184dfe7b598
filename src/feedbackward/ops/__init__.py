"""The torch operators: schema in C++, and here what torch needs to know of them: shapes, derivatives, vmap."""
