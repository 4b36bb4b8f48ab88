/* The door through which devices come in: what a device plug-in implements and the host calls.
 *
 * A plug-in is a shared library, yiti_device_NAME.so, that exports one function:
 *
 *     const yiti_device_plugin* yiti_device_plugin_entry(void);
 *
 * This header is all that it needs: plain C, without a library to link. docs/howto/add-a-device.md
 * is the guide; devices/template is a small plug-in to begin from.
 *
 * Versions. `abi_version` changes when something here changes its meaning: both sides must have the
 * same. What is only added goes to the end of a struct, whose head tells how many bytes its maker
 * knew: never read beyond that.
 *
 * Status. Every function returns a status. When it is not YITI_STATUS_OK, it has written why into
 * `message` (never null), zero-terminated: what it got, what it wanted, the driver's own words. It
 * never ends the process, prints or throws.
 *
 * Threads. Every function may be called from any thread, several at once, on the same device.
 *
 * Streams. A stream runs its work in the order in which it was given; a null stream is the device's
 * default one. The host gives all that belongs together to one stream, uses memory again for work
 * that comes later on the same stream, and waits only where it reads.
 */
#ifndef YITI_DEVICE_H
#define YITI_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define YITI_DEVICE_ABI_VERSION 1u
#define YITI_DEVICE_ENTRY "yiti_device_plugin_entry"

#if defined(_WIN32)
#define YITI_DEVICE_EXPORT __declspec(dllexport)
#else
#define YITI_DEVICE_EXPORT __attribute__((visibility("default")))
#endif

/* The canonical codes, as yiti::Code has them. */
typedef enum yiti_status {
  YITI_STATUS_OK = 0,
  YITI_STATUS_CANCELLED = 1,
  YITI_STATUS_INVALID_ARGUMENT = 2,
  YITI_STATUS_NOT_FOUND = 3,
  YITI_STATUS_ALREADY_EXISTS = 4,
  YITI_STATUS_OUT_OF_RANGE = 5,
  YITI_STATUS_FAILED_PRECONDITION = 6,
  YITI_STATUS_RESOURCE_EXHAUSTED = 7, /* no memory of the device */
  YITI_STATUS_UNIMPLEMENTED = 8,      /* not this op, dtype, shape or function */
  YITI_STATUS_UNAVAILABLE = 9,        /* no driver, no such device, or it went away */
  YITI_STATUS_DATA_LOSS = 10,
  YITI_STATUS_INTERNAL = 11
} yiti_status;

/* Room for a message; the caller owns it. */
typedef struct yiti_message {
  char text[1024];
} yiti_message;

/* Elements, little-endian. The quantised ones are GGUF's: a row of a matrix is a run of blocks of
 * 32 elements, row after row.
 *   Q4_0  18 bytes: f16 d; 16 bytes q       element i = (nibble i - 8) * d
 *   Q4_1  20 bytes: f16 d, f16 m; 16 bytes  element i = nibble i * d + m
 *   Q8_0  34 bytes: f16 d; 32 int8          element i = q[i] * d
 * Nibbles 0 to 15 are the low halves of the 16 bytes, 16 to 31 the high ones. */
typedef enum yiti_dtype {
  YITI_DTYPE_F64 = 1,
  YITI_DTYPE_F32 = 2,
  YITI_DTYPE_F16 = 3,
  YITI_DTYPE_BF16 = 4,
  YITI_DTYPE_I64 = 5,
  YITI_DTYPE_I32 = 6,
  YITI_DTYPE_I16 = 7,
  YITI_DTYPE_I8 = 8,
  YITI_DTYPE_U8 = 9,
  YITI_DTYPE_BOOL = 10, /* a byte, 0 or 1 */
  YITI_DTYPE_Q4_0 = 11,
  YITI_DTYPE_Q4_1 = 12,
  YITI_DTYPE_Q8_0 = 13
} yiti_dtype;

/* Opaque to the host; the plug-in defines them as it likes. */
typedef struct yiti_device yiti_device;
typedef struct yiti_memory yiti_memory; /* one allocation: a buffer object or a pointer */
typedef struct yiti_stream yiti_stream;
typedef struct yiti_event yiti_event;
typedef struct yiti_graph yiti_graph;
typedef struct yiti_group yiti_group;

typedef enum yiti_device_kind {
  YITI_DEVICE_KIND_OTHER = 0,
  YITI_DEVICE_KIND_CPU = 1,
  YITI_DEVICE_KIND_GPU = 2,
  YITI_DEVICE_KIND_ACCELERATOR = 3
} yiti_device_kind;

/* Flags of a device. */
/* The bits of a result's row depend on that row alone: not on how many others there are, on how
 * they are cut into calls, or on chance. The conformance run checks it. */
#define YITI_DEVICE_ROW_CONTRACT 1u

/* What a device is. The host fills in struct_size; the plug-in fills in what fits in it. */
typedef struct yiti_device_info {
  uint32_t struct_size;
  uint32_t kind; /* yiti_device_kind */
  uint32_t flags;
  uint32_t compute_units; /* 0: not known */
  /* Where an allocation begins: a power of two, at most 4096. Tensors in it begin anywhere that is
   * a multiple of 64 bytes, views at any element. */
  uint32_t alignment;
  uint32_t reserved;
  uint64_t memory_bytes;      /* 0: not known */
  uint64_t free_memory_bytes; /* at this moment; 0: not known */
  char name[128];             /* "Example Accelerator 40 GB" */
  char driver[128];           /* driver and version */
} yiti_device_info;

#define YITI_MAX_RANK 8

/* How a quantised matrix lies in memory. */
typedef enum yiti_layout {
  YITI_LAYOUT_ROWS = 0,  /* as yiti_dtype says */
  YITI_LAYOUT_PACKED = 1 /* as yiti_weights->pack left it */
} yiti_layout;

/* A tensor: where it lies and how. Element (i0, i1, …) of a plain dtype is at byte
 *     offset + (i0 * strides[0] + i1 * strides[1] + …) * size of an element
 * of `memory`. A quantised matrix has rank 2 and is always contiguous; its shape counts elements.
 * Sizes may be 0, and so may strides of inputs (an expanded view). In supports_op memory is null.
 */
typedef struct yiti_tensor {
  uint32_t struct_size;
  uint32_t dtype; /* yiti_dtype */
  uint32_t rank;
  uint32_t layout; /* yiti_layout */
  int64_t shape[YITI_MAX_RANK];
  int64_t strides[YITI_MAX_RANK]; /* in elements */
  yiti_memory* memory;
  uint64_t offset; /* in bytes */
} yiti_tensor;

typedef enum yiti_attribute_type {
  YITI_ATTRIBUTE_INT = 1,
  YITI_ATTRIBUTE_FLOAT = 2,
  YITI_ATTRIBUTE_BOOL = 3,
  YITI_ATTRIBUTE_STRING = 4,
  YITI_ATTRIBUTE_INTS = 5
} yiti_attribute_type;

/* An attribute by its name in the op's declaration. What it points to lives as long as the call. */
typedef struct yiti_attribute {
  const char* name;
  uint32_t type;  /* yiti_attribute_type */
  uint32_t count; /* of ints */
  union {
    int64_t int_value; /* bool: 0 or 1 */
    double float_value;
    const char* string_value;
    const int64_t* int_values;
  } value;
} yiti_attribute;

/* One op: name, inputs, outputs and attributes as the op's declaration lists them (`yiti devices
 * --ops` prints all). Inputs that were left out and outputs that nobody wants are null pointers. An
 * op whose last input may be repeated has more inputs than the declaration. An output that updates
 * an input in place is given as the same memory and offset. No other output overlaps an input.
 * Outputs are contiguous; inputs are contiguous except where supports_op asked for strides.
 * supports_op sees inputs without memory, contiguous, and no outputs: an op is supported with and
 * without the outputs that only a gradient reads. */
typedef struct yiti_op_call {
  uint32_t struct_size;
  uint32_t input_count;
  uint32_t output_count;
  uint32_t attribute_count;
  const char* op;
  const yiti_tensor* const* inputs;
  const yiti_tensor* const* outputs;
  const yiti_attribute* attributes;
  yiti_memory* workspace; /* null when supports_op asked for none */
  uint64_t workspace_offset;
  uint64_t workspace_bytes; /* at least what supports_op asked for at these shapes */
} yiti_op_call;

/* What supports_op answers. The host has set all but struct_size to 0. */
typedef struct yiti_op_support {
  uint32_t struct_size;
  /* 1: run_op also takes several calls of the op at once, each with tensors of its own: inputs of
   * one behind those of another, outputs likewise, attributes for all. So the host gives an
   * optimiser's step, where it updates in place without a workspace. */
  uint32_t takes_lists;
  uint64_t
      strided_inputs; /* bit i: input i may come with any strides; others are made contiguous */
  uint64_t workspace_bytes; /* must not shrink when sizes grow */
} yiti_op_support;

/* Optional: records the work given to a stream, to give it again at once. */
typedef struct yiti_graphs {
  uint32_t struct_size;
  uint32_t reserved;
  /* From here on, what is given to `stream` is recorded, not run. Only ops and copies within the
   * device are given meanwhile. */
  yiti_status (*begin)(yiti_device*, yiti_stream*, yiti_message*);
  yiti_status (*end)(yiti_device*, yiti_stream*, yiti_graph** graph, yiti_message*);
  /* Runs it with the same memory and the contents that it has then. */
  yiti_status (*launch)(yiti_device*, yiti_graph*, yiti_stream*, yiti_message*);
  void (*free)(yiti_device*, yiti_graph*);
} yiti_graphs;

/* Optional: quantised weights in a layout of the device's own. The host packs each matrix once,
 * when a model is loaded, and keeps nothing else of it: training and all sessions give the same
 * memory to their ops. supports_op is asked about both layouts. */
typedef struct yiti_weights {
  uint32_t struct_size;
  uint32_t reserved;
  /* The bytes that a matrix [N, K] takes when it is packed; 0: this one stays in rows. Of `rows`,
   * dtype and shape are set. */
  yiti_status (*packed_bytes)(yiti_device*, const yiti_tensor* rows, uint64_t* bytes,
                              yiti_message*);
  /* Does not wait. `rows` may be gone once the stream has done it. */
  yiti_status (*pack)(yiti_device*, yiti_stream*, const yiti_tensor* rows,
                      const yiti_tensor* packed, yiti_message*);
  /* Does not wait. Gives rows every bit back that pack got. */
  yiti_status (*unpack)(yiti_device*, yiti_stream*, const yiti_tensor* packed,
                        const yiti_tensor* rows, yiti_message*);
} yiti_weights;

/* Optional: collectives between the devices of several ranks. Tensors are contiguous; all ranks
 * make the same calls in the same order. Sums have the same bits on each rank. */
typedef struct yiti_collectives {
  uint32_t struct_size;
  uint32_t id_bytes; /* of a group's id, at most 8192 */
  /* One rank makes an id, which the host takes to the others; then all join. */
  yiti_status (*make_id)(yiti_device*, void* id, yiti_message*);
  yiti_status (*join)(yiti_device*, const void* id, int32_t rank, int32_t size, yiti_group**,
                      yiti_message*);
  void (*leave)(yiti_device*, yiti_group*);
  yiti_status (*all_reduce)(yiti_device*, yiti_group*, yiti_stream*, const yiti_tensor* in,
                            const yiti_tensor* out, yiti_message*);
  yiti_status (*all_gather)(yiti_device*, yiti_group*, yiti_stream*, const yiti_tensor* in,
                            const yiti_tensor* out, yiti_message*);
  yiti_status (*reduce_scatter)(yiti_device*, yiti_group*, yiti_stream*, const yiti_tensor* in,
                                const yiti_tensor* out, yiti_message*);
  yiti_status (*broadcast)(yiti_device*, yiti_group*, yiti_stream*, const yiti_tensor* tensor,
                           int32_t root, yiti_message*);
  yiti_status (*send)(yiti_device*, yiti_group*, yiti_stream*, const yiti_tensor*, int32_t to,
                      yiti_message*);
  yiti_status (*receive)(yiti_device*, yiti_group*, yiti_stream*, const yiti_tensor*, int32_t from,
                         yiti_message*);
} yiti_collectives;

typedef struct yiti_device_plugin {
  uint32_t abi_version; /* YITI_DEVICE_ABI_VERSION */
  uint32_t struct_size; /* sizeof(yiti_device_plugin) */
  const char* name;     /* as in the library's name; lives as long as the library */

  /* How many devices there are. None is no error; a missing driver is YITI_STATUS_UNAVAILABLE. */
  yiti_status (*count)(int32_t* devices, yiti_message*);
  yiti_status (*open)(int32_t index, yiti_device** device, yiti_message*);
  /* After all of its memory, streams, events and graphs were freed. */
  void (*close)(yiti_device*);
  yiti_status (*query)(yiti_device*, yiti_device_info*, yiti_message*);

  /* bytes > 0; not cleared. YITI_STATUS_RESOURCE_EXHAUSTED where there is no room. The host keeps
   * freed memory for a while, so these need not be fast. `free` is called once the work that was
   * given before may still run: it waits for that, where the driver does not. */
  yiti_status (*allocate)(yiti_device*, uint64_t bytes, yiti_memory** memory, yiti_message*);
  void (*free)(yiti_device*, yiti_memory*);

  /* Copies, after all that the stream was given before. to_device may return before the copy is
   * done, but not before it has read `source`; to_host returns when `target` is there. */
  yiti_status (*copy_to_device)(yiti_device*, yiti_stream*, yiti_memory* target,
                                uint64_t target_offset, const void* source, uint64_t bytes,
                                yiti_message*);
  yiti_status (*copy_to_host)(yiti_device*, yiti_stream*, void* target, yiti_memory* source,
                              uint64_t source_offset, uint64_t bytes, yiti_message*);
  /* Does not wait. The two ranges do not overlap. */
  yiti_status (*copy_on_device)(yiti_device*, yiti_stream*, yiti_memory* target,
                                uint64_t target_offset, yiti_memory* source, uint64_t source_offset,
                                uint64_t bytes, yiti_message*);
  /* Sets all bytes to 0. Does not wait. */
  yiti_status (*clear)(yiti_device*, yiti_stream*, yiti_memory*, uint64_t offset, uint64_t bytes,
                       yiti_message*);

  yiti_status (*stream_create)(yiti_device*, yiti_stream**, yiti_message*);
  void (*stream_destroy)(yiti_device*, yiti_stream*);
  /* Waits until all that the stream was given is done. Reports what failed meanwhile. */
  yiti_status (*stream_synchronise)(yiti_device*, yiti_stream*, yiti_message*);
  yiti_status (*event_create)(yiti_device*, yiti_event**, yiti_message*);
  void (*event_destroy)(yiti_device*, yiti_event*);
  /* The event happens when the work that the stream has so far is done. */
  yiti_status (*event_record)(yiti_device*, yiti_event*, yiti_stream*, yiti_message*);
  /* What the stream is given from here on waits for the event. */
  yiti_status (*event_wait)(yiti_device*, yiti_event*, yiti_stream*, yiti_message*);
  /* The host waits for the event. */
  yiti_status (*event_synchronise)(yiti_device*, yiti_event*, yiti_message*);

  /* Whether run_op takes this call: YITI_STATUS_OK, or YITI_STATUS_UNIMPLEMENTED with the reason.
   * The host keeps the answer for these dtypes, shapes and attributes. A session asks at the
   * largest sizes of a program; the op must then run at all smaller sizes of the axes that its
   * declaration leaves open to rows. */
  yiti_status (*supports_op)(yiti_device*, const yiti_op_call*, yiti_op_support*, yiti_message*);
  /* Gives the op to the stream and does not wait. A number that is out of range in a tensor (an id,
   * a label, a position) must not touch memory outside the operands; it may be reported by the
   * stream's next synchronisation. */
  yiti_status (*run_op)(yiti_device*, yiti_stream*, const yiti_op_call*, yiti_message*);

  const yiti_graphs* graphs;           /* null: none */
  const yiti_collectives* collectives; /* null: none */

  /* What a table may end before. */
  const yiti_weights* weights; /* null: none */
} yiti_device_plugin;

/* What a plug-in exports under the name YITI_DEVICE_ENTRY. */
typedef const yiti_device_plugin* (*yiti_device_plugin_entry_function)(void);

#ifdef __cplusplus
}
#endif

#endif
