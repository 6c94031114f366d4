"""Vector stores: nearest neighbours by inner product behind one protocol, on FAISS or on Milvus.

==================  ==================================================================================
module              holds
==================  ==================================================================================
``protocol``        :class:`VectorStore`, what both implementations promise, and its checks of input
``policy``          which kind of index a number of rows gets
``on_faiss``        one FAISS index in one file of the library folder
``milvus_place``    the address of a Milvus, read from ``VECTOR_STORE``
``milvus_client``   connections to it, opened when first needed and shared
``on_milvus``       one Milvus collection
``placement``       which of them holds the vectors of a library, as its manifest says; their end
==================  ==================================================================================

Nothing is imported here: whoever drops a library's vectors needs neither FAISS nor torch.
"""
