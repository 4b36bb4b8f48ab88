/* The template with collectives between ranks that are threads of one process: a rank shows its
 * tensor, waits for the others, and reads theirs. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>

#define yiti_device_plugin_entry template_entry
#include "devices/template/template_device.c"
#undef yiti_device_plugin_entry

#define MAX_RANKS 8

typedef struct meeting {
  int32_t id, size, joined, left;
  pthread_barrier_t barrier;
  const yiti_tensor* shown[MAX_RANKS];
  struct meeting* next;
} meeting;

struct yiti_group {
  meeting* place;
  int32_t rank;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static meeting* meetings;
static int32_t last_id;

static yiti_status make_id(yiti_device* device, void* id, yiti_message* message) {
  (void)device;
  (void)message;
  pthread_mutex_lock(&mutex);
  const int32_t made = ++last_id;
  pthread_mutex_unlock(&mutex);
  memcpy(id, &made, sizeof(made));
  return YITI_STATUS_OK;
}

static yiti_status join(yiti_device* device, const void* id, int32_t rank, int32_t size,
                        yiti_group** group, yiti_message* message) {
  (void)device;
  if (size > MAX_RANKS) return fail(message, YITI_STATUS_UNIMPLEMENTED, "at most 8 ranks");
  int32_t wanted;
  memcpy(&wanted, id, sizeof(wanted));
  pthread_mutex_lock(&mutex);
  meeting* place = meetings;
  while (place != NULL && place->id != wanted) place = place->next;
  if (place == NULL) {
    place = calloc(1, sizeof(*place));
    place->id = wanted;
    place->size = size;
    pthread_barrier_init(&place->barrier, NULL, (unsigned)size);
    place->next = meetings;
    meetings = place;
  }
  pthread_mutex_unlock(&mutex);
  *group = malloc(sizeof(**group));
  (*group)->place = place;
  (*group)->rank = rank;
  pthread_barrier_wait(&place->barrier);
  return YITI_STATUS_OK;
}

static void leave(yiti_device* device, yiti_group* group) {
  (void)device;
  free(group);
}

static const yiti_tensor* shown(const yiti_group* group, int32_t rank) {
  return group->place->shown[rank];
}

static void show(yiti_group* group, const yiti_tensor* tensor) {
  group->place->shown[group->rank] = tensor;
  pthread_barrier_wait(&group->place->barrier);
}

static void part(yiti_group* group) { pthread_barrier_wait(&group->place->barrier); }

/* The sum over ranks of `count` elements from `first` on. */
static void sum_from(const yiti_group* group, int64_t first, int64_t count, float* y) {
  for (int64_t i = 0; i < count; ++i) {
    float sum = 0;
    for (int32_t rank = 0; rank < group->place->size; ++rank) {
      sum += floats(shown(group, rank))[first + i];
    }
    y[i] = sum;
  }
}

static yiti_status all_reduce(yiti_device* device, yiti_group* group, yiti_stream* stream,
                              const yiti_tensor* in, const yiti_tensor* out,
                              yiti_message* message) {
  (void)device;
  (void)stream;
  (void)message;
  show(group, in);
  sum_from(group, 0, element_count(in), floats(out));
  part(group);
  return YITI_STATUS_OK;
}

static yiti_status all_gather(yiti_device* device, yiti_group* group, yiti_stream* stream,
                              const yiti_tensor* in, const yiti_tensor* out,
                              yiti_message* message) {
  (void)device;
  (void)stream;
  (void)message;
  const int64_t count = element_count(in);
  show(group, in);
  for (int32_t rank = 0; rank < group->place->size; ++rank) {
    memcpy(floats(out) + rank * count, floats(shown(group, rank)), (size_t)count * sizeof(float));
  }
  part(group);
  return YITI_STATUS_OK;
}

static yiti_status reduce_scatter(yiti_device* device, yiti_group* group, yiti_stream* stream,
                                  const yiti_tensor* in, const yiti_tensor* out,
                                  yiti_message* message) {
  (void)device;
  (void)stream;
  (void)message;
  const int64_t count = element_count(out);
  show(group, in);
  sum_from(group, group->rank * count, count, floats(out));
  part(group);
  return YITI_STATUS_OK;
}

static yiti_status broadcast(yiti_device* device, yiti_group* group, yiti_stream* stream,
                             const yiti_tensor* tensor, int32_t root, yiti_message* message) {
  (void)device;
  (void)stream;
  (void)message;
  show(group, tensor);
  if (group->rank != root) {
    memcpy(floats(tensor), floats(shown(group, root)),
           (size_t)element_count(tensor) * sizeof(float));
  }
  part(group);
  return YITI_STATUS_OK;
}

/* With two ranks that do so at once, a send is a meeting with the receiver. */
static yiti_status send(yiti_device* device, yiti_group* group, yiti_stream* stream,
                        const yiti_tensor* tensor, int32_t to, yiti_message* message) {
  (void)to;
  return broadcast(device, group, stream, tensor, group->rank, message);
}

static yiti_status receive(yiti_device* device, yiti_group* group, yiti_stream* stream,
                           const yiti_tensor* tensor, int32_t from, yiti_message* message) {
  return broadcast(device, group, stream, tensor, from, message);
}

YITI_DEVICE_EXPORT const yiti_device_plugin* yiti_device_plugin_entry(void) {
  static const yiti_collectives collectives = {
      sizeof(yiti_collectives), sizeof(int32_t), make_id, join,   leave, all_reduce, all_gather,
      reduce_scatter,           broadcast,       send,    receive};
  static yiti_device_plugin table;
  table = *template_entry();
  table.collectives = &collectives;
  return &table;
}
