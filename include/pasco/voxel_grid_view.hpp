// Reads a pasco/msg/VoxelGrid in C++: values by voxel, by layer, or by point, whatever the layer's encoding.
//
//   #include <pasco/voxel_grid_view.hpp>
//
//   void callback(const pasco::msg::VoxelGrid & grid) {
//     const auto semantics = pasco::layer(grid, "semantics");
//     const auto voxel = pasco::voxel_of(grid, 12.0, 0.5, -1.0);          // a point in grid.header.frame_id
//     if (voxel && !semantics.unknown(voxel->index)) { use(semantics.value(voxel->index)); }
//   }
//
// Needs nothing but the standard library and the message; works on any type with the message's members. Layers without
// compression and of run lengths are read; for zlib ask the publisher for another compression, or inflate the data
// yourself and give it to the constructor of Layer.

#ifndef PASCO__VOXEL_GRID_VIEW_HPP_
#define PASCO__VOXEL_GRID_VIEW_HPP_

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace pasco
{

// Numbers of VoxelLayer.msg.
enum class Encoding : std::uint8_t {Uint8 = 2, Uint16 = 4, Int32 = 5, Float32 = 7};
enum class Compression : std::uint8_t {None = 0, Zlib = 1, RunLength = 2};

// One voxel of a grid: its place along the axes, and its place in every layer.
struct Voxel
{
  std::uint32_t x, y, z;
  std::size_t index;
};

// The values of one layer; holds them uncompressed.
class Layer
{
public:
  // Raw values in the grid's memory order: x slowest, z fastest. Throws std::invalid_argument for a wrong size.
  Layer(
    std::vector<std::uint8_t> raw, Encoding encoding, float scale, float offset, std::size_t n_voxels)
  : raw_(std::move(raw)), encoding_(encoding), scale_(scale), offset_(offset), size_(n_voxels)
  {
    if (raw_.size() != n_voxels * item_size(encoding)) {
      throw std::invalid_argument(
              "Expected " + std::to_string(n_voxels * item_size(encoding)) + " bytes of values, got " +
              std::to_string(raw_.size()));
    }
  }

  std::size_t size() const {return size_;}

  // Whether nothing is known of the voxel.
  bool unknown(std::size_t index) const
  {
    switch (encoding_) {
      case Encoding::Uint8: return read<std::uint8_t>(index) == 255;
      case Encoding::Uint16: return read<std::uint16_t>(index) == 65535;
      case Encoding::Int32: return read<std::int32_t>(index) == -1;
      default: return std::isnan(read<float>(index));
    }
  }

  // scale * raw + offset.
  float value(std::size_t index) const
  {
    switch (encoding_) {
      case Encoding::Uint8: return scale_ * static_cast<float>(read<std::uint8_t>(index)) + offset_;
      case Encoding::Uint16: return scale_ * static_cast<float>(read<std::uint16_t>(index)) + offset_;
      case Encoding::Int32: return scale_ * static_cast<float>(read<std::int32_t>(index)) + offset_;
      default: return scale_ * read<float>(index) + offset_;
    }
  }

  static std::size_t item_size(Encoding encoding)
  {
    switch (encoding) {
      case Encoding::Uint8: return 1;
      case Encoding::Uint16: return 2;
      case Encoding::Int32:
      case Encoding::Float32: return 4;
      default: throw std::invalid_argument("Expected an encoding of VoxelLayer.msg, got another");
    }
  }

private:
  // The message is little-endian, as every machine that ROS 2 supports.
  template<typename T>
  T read(std::size_t index) const
  {
    if (index >= size_) {throw std::out_of_range("Expected a voxel of the grid, got one outside");}
    T value;
    std::memcpy(&value, raw_.data() + index * sizeof(T), sizeof(T));
    return value;
  }

  std::vector<std::uint8_t> raw_;
  Encoding encoding_;
  float scale_, offset_;
  std::size_t size_;
};

namespace detail
{

inline std::vector<std::uint8_t> expanded(
  const std::uint8_t * data, std::size_t n_bytes, std::size_t item, std::size_t n_voxels)
{
  if (n_bytes % (4 + item) != 0) {
    throw std::invalid_argument("Expected whole runs, got " + std::to_string(n_bytes) + " bytes");
  }
  const std::size_t n_runs = n_bytes / (4 + item);
  std::uint64_t total = 0;
  std::vector<std::uint32_t> counts(n_runs);
  if (n_runs > 0) {std::memcpy(counts.data(), data, 4 * n_runs);}
  for (const auto count : counts) {total += count;}
  if (total != n_voxels) {  // before anything is allocated
    throw std::invalid_argument(
            "Expected runs of " + std::to_string(n_voxels) + " values, got " + std::to_string(total));
  }
  std::vector<std::uint8_t> raw;
  raw.reserve(n_voxels * item);
  const std::uint8_t * value = data + 4 * n_runs;
  for (std::size_t run = 0; run < n_runs; ++run, value += item) {
    if (item == 1) {
      raw.insert(raw.end(), counts[run], *value);
    } else {
      for (std::uint32_t i = 0; i < counts[run]; ++i) {raw.insert(raw.end(), value, value + item);}
    }
  }
  return raw;
}

}  // namespace detail

template<typename Grid>
std::size_t n_voxels(const Grid & grid)
{
  return static_cast<std::size_t>(grid.size_x) * grid.size_y * grid.size_z;
}

// The layer of that name. Throws std::invalid_argument if there is none, or if its data cannot be read.
template<typename Grid>
Layer layer(const Grid & grid, const std::string & name)
{
  for (const auto & found : grid.layers) {
    if (found.name != name) {continue;}
    const auto encoding = static_cast<Encoding>(found.encoding);
    const std::uint8_t * data = found.data.data();
    switch (static_cast<Compression>(found.compression)) {
      case Compression::None:
        return Layer({data, data + found.data.size()}, encoding, found.scale, found.offset, n_voxels(grid));
      case Compression::RunLength:
        return Layer(
          detail::expanded(data, found.data.size(), Layer::item_size(encoding), n_voxels(grid)), encoding,
          found.scale, found.offset, n_voxels(grid));
      default:
        throw std::invalid_argument(
                "Expected layer '" + name + "' without compression or of run lengths, got compression " +
                std::to_string(found.compression));
    }
  }
  throw std::invalid_argument("Expected the grid to have a layer '" + name + "', got none");
}

// The voxel that a point of the grid's frame lies in; nothing for a point outside.
template<typename Grid>
std::optional<Voxel> voxel_of(const Grid & grid, double x, double y, double z)
{
  const auto & p = grid.origin.position;
  const auto & q = grid.origin.orientation;
  const double d[3] = {x - p.x, y - p.y, z - p.z};
  // The rows of the transposed rotation matrix of the unit quaternion: from the frame into the grid.
  const double rows[3][3] = {
    {1 - 2 * (q.y * q.y + q.z * q.z), 2 * (q.x * q.y + q.w * q.z), 2 * (q.x * q.z - q.w * q.y)},
    {2 * (q.x * q.y - q.w * q.z), 1 - 2 * (q.x * q.x + q.z * q.z), 2 * (q.y * q.z + q.w * q.x)},
    {2 * (q.x * q.z + q.w * q.y), 2 * (q.y * q.z - q.w * q.x), 1 - 2 * (q.x * q.x + q.y * q.y)}};
  const std::uint32_t sizes[3] = {grid.size_x, grid.size_y, grid.size_z};
  std::uint32_t index[3];
  for (int axis = 0; axis < 3; ++axis) {
    const double local = rows[axis][0] * d[0] + rows[axis][1] * d[1] + rows[axis][2] * d[2];
    const double step = std::floor(local / grid.voxel_size);
    if (!(step >= 0 && step < sizes[axis])) {return std::nullopt;}  // also for NaN
    index[axis] = static_cast<std::uint32_t>(step);
  }
  const std::size_t place =
    (static_cast<std::size_t>(index[0]) * grid.size_y + index[1]) * grid.size_z + index[2];
  return Voxel{index[0], index[1], index[2], place};
}

}  // namespace pasco

#endif  // PASCO__VOXEL_GRID_VIEW_HPP_
