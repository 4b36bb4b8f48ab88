// All that a program which embeds yiti usually needs. Ops have headers of their own, such as
// "ops/linear/linear.h".
#pragma once

#include "core/communicator.h"
#include "core/device.h"
#include "core/error.h"
#include "core/gate.h"
#include "core/parameters.h"
#include "core/tensor.h"
#include "inference/language_session.h"
#include "inference/sampler.h"
#include "inference/scheduler.h"
#include "models/loader.h"
#include "models/lora.h"
#include "models/peft.h"
#include "models/text/text_stream.h"
#include "ops/op_list.h"
#include "serving/server.h"

#if __has_include("training/fine_tune.h")  // absent from an inference-only build
#include "training/fine_tune.h"
#endif
