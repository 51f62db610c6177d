/* An extension whose types break when they are looked at: what tests of crashing dumps need.
 *
 * `broken.arm(n)`: 0 all is well; 1 the traverse reads what is not there; 2 it aborts; 3 `__sizeof__` reads what is not
 * there; 4 the traverse visits an address at which there is nothing; 5 it visits memory that is no object. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static int armed;
static long nonsense[8] = {1, 0x10};

typedef struct {
    PyObject_HEAD
    PyObject *held;
} Node;

static int node_traverse(PyObject *self, visitproc visit, void *arg) {
    if (armed == 1) *(volatile int *)16 = 1;
    if (armed == 2) abort();
    if (armed == 4) return visit((PyObject *)0x7000, arg);
    if (armed == 5) return visit((PyObject *)nonsense, arg);
#if PY_VERSION_HEX >= 0x03090000
    if (PyType_HasFeature(Py_TYPE(self), Py_TPFLAGS_HEAPTYPE)) Py_VISIT(Py_TYPE(self));
#endif
    Py_VISIT(((Node *)self)->held);
    return 0;
}

static int node_clear(PyObject *self) {
    Py_CLEAR(((Node *)self)->held);
    return 0;
}

static void node_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    node_clear(self);
    type->tp_free(self);
    /* Of a subclass made in Python, its own dealloc gives the type up. */
    if (PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) && type->tp_dealloc == node_dealloc) Py_DECREF(type);
}

static int node_init(PyObject *self, PyObject *args, PyObject *kwargs) {
    PyObject *held = NULL;
    if (!PyArg_ParseTuple(args, "|O", &held)) return -1;
    Py_XINCREF(held);
    Py_XSETREF(((Node *)self)->held, held);
    return 0;
}

static PyObject *node_sizeof(PyObject *self, PyObject *unused) {
    if (armed == 3) *(volatile int *)16 = 1;
    return PyLong_FromSsize_t(Py_TYPE(self)->tp_basicsize);
}

static PyMethodDef node_methods[] = {{"__sizeof__", node_sizeof, METH_NOARGS, NULL}, {NULL}};

static PyTypeObject Static = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "broken.Static",
    .tp_basicsize = sizeof(Node),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .tp_new = PyType_GenericNew,
    .tp_init = node_init,
    .tp_dealloc = node_dealloc,
    .tp_traverse = node_traverse,
    .tp_clear = node_clear,
    .tp_methods = node_methods,
};

static PyType_Slot heap_slots[] = {
    {Py_tp_new, PyType_GenericNew}, {Py_tp_init, node_init},   {Py_tp_dealloc, node_dealloc},
    {Py_tp_traverse, node_traverse}, {Py_tp_clear, node_clear}, {Py_tp_methods, node_methods},
    {0, NULL},
};

static PyType_Spec heap_spec = {
    .name = "broken.Heap",
    .basicsize = sizeof(Node),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = heap_slots,
};

static PyObject *arm(PyObject *module, PyObject *how) {
    armed = (int)PyLong_AsLong(how);
    if (PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {{"arm", arm, METH_O, NULL}, {NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "broken", .m_size = -1, .m_methods = functions};

PyMODINIT_FUNC PyInit_broken(void) {
    PyObject *module = PyModule_Create(&definition);
    PyObject *heap = PyType_FromSpec(&heap_spec);
    if (!module || !heap || PyType_Ready(&Static) < 0) return NULL;
    Py_INCREF(&Static);
    if (PyModule_AddObject(module, "Static", (PyObject *)&Static) < 0) return NULL;
    if (PyModule_AddObject(module, "Heap", heap) < 0) return NULL;
    return module;
}
