// Elah's own declarations of the driver API against the toolkit's.
#include "drivers/cuda/driver_api.h"
constexpr unsigned ownReadOnly = elah::cuda::CU_MEMHOSTREGISTER_READ_ONLY; // Before the toolkit's macro of that name.

#include <cstddef>
#include <cuda.h>
#include <gtest/gtest.h>
#include <type_traits>

namespace {

/// What a function of either header looks like, with all pointers and enumerations of one size the same.
template <typename T> struct Shape {
  using type =
      std::conditional_t<std::is_pointer_v<T>, void *, std::conditional_t<std::is_enum_v<T>, int, std::remove_cv_t<T>>>;
};
template <typename T> struct ShapeOfFunction;
template <typename R, typename... P> struct ShapeOfFunction<R(P...)> {
  using type = typename Shape<R>::type(typename Shape<P>::type...);
};

TEST(DriverApi, FunctionsAreTheToolkits) {
#define ELAH_COMPARE(member, symbol, parameters)                                                                       \
  static_assert(                                                                                                       \
      std::is_same_v<ShapeOfFunction<std::remove_pointer_t<decltype(elah::cuda::DriverFunctions::member)>>::type,      \
                     ShapeOfFunction<decltype(symbol)>::type>,                                                         \
      #symbol);
  ELAH_CUDA_DRIVER_FUNCTIONS(ELAH_COMPARE)
#undef ELAH_COMPARE
}

TEST(DriverApi, ValuesAreTheToolkits) {
#define ELAH_SAME(name) EXPECT_EQ(static_cast<int>(elah::cuda::name), static_cast<int>(::name))
  ELAH_SAME(CUDA_SUCCESS);
  ELAH_SAME(CUDA_ERROR_OUT_OF_MEMORY);
  ELAH_SAME(CUDA_ERROR_NO_DEVICE);
  ELAH_SAME(CUDA_ERROR_INVALID_DEVICE);
  ELAH_SAME(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  ELAH_SAME(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  ELAH_SAME(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
  ELAH_SAME(CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED);
  ELAH_SAME(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
  ELAH_SAME(CU_STREAM_NON_BLOCKING);
  EXPECT_EQ(ownReadOnly, CU_MEMHOSTREGISTER_READ_ONLY);
  ELAH_SAME(CU_TENSOR_MAP_DATA_TYPE_UINT8);
  ELAH_SAME(CU_TENSOR_MAP_DATA_TYPE_INT32);
  ELAH_SAME(CU_TENSOR_MAP_DATA_TYPE_FLOAT16);
  ELAH_SAME(CU_TENSOR_MAP_DATA_TYPE_FLOAT32);
  ELAH_SAME(CU_TENSOR_MAP_DATA_TYPE_BFLOAT16);
  ELAH_SAME(CU_TENSOR_MAP_INTERLEAVE_NONE);
  ELAH_SAME(CU_TENSOR_MAP_SWIZZLE_NONE);
  ELAH_SAME(CU_TENSOR_MAP_SWIZZLE_32B);
  ELAH_SAME(CU_TENSOR_MAP_SWIZZLE_64B);
  ELAH_SAME(CU_TENSOR_MAP_SWIZZLE_128B);
  ELAH_SAME(CU_TENSOR_MAP_L2_PROMOTION_L2_256B);
  ELAH_SAME(CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  ELAH_SAME(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
  ELAH_SAME(CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
#undef ELAH_SAME
}

TEST(DriverApi, LayoutsAreTheToolkits) {
  EXPECT_EQ(sizeof(elah::cuda::CUtensorMap), sizeof(::CUtensorMap));
  EXPECT_GE(alignof(elah::cuda::CUtensorMap), 64u);
  EXPECT_EQ(sizeof(elah::cuda::CUlaunchAttribute), sizeof(::CUlaunchAttribute));
  EXPECT_EQ(offsetof(elah::cuda::CUlaunchAttribute, value), offsetof(::CUlaunchAttribute, value));
  EXPECT_EQ(sizeof(elah::cuda::CUlaunchAttributeValue), sizeof(::CUlaunchAttributeValue));
  EXPECT_EQ(sizeof(elah::cuda::CUlaunchConfig), sizeof(::CUlaunchConfig));
#define ELAH_SAME_PLACE(field) EXPECT_EQ(offsetof(elah::cuda::CUlaunchConfig, field), offsetof(::CUlaunchConfig, field))
  ELAH_SAME_PLACE(gridDimX);
  ELAH_SAME_PLACE(blockDimX);
  ELAH_SAME_PLACE(sharedMemBytes);
  ELAH_SAME_PLACE(hStream);
  ELAH_SAME_PLACE(attrs);
  ELAH_SAME_PLACE(numAttrs);
#undef ELAH_SAME_PLACE
}

} // namespace
