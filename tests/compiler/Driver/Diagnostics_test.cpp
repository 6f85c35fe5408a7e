// Diagnostics as users read them: the file or the module first, then what is wrong.
#include "compiler/Driver/Diagnostics.h"
#include "compiler/Driver/Progress.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/MLIRContext.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace elah;

namespace {

class DiagnosticsTest : public testing::Test {
protected:
  DiagnosticsTest() {
    context.getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
      text = formatDiagnostic(diagnostic);
      return success();
    });
  }

  Location file(StringRef name, unsigned line = 0, unsigned column = 0) {
    return FileLineColLoc::get(StringAttr::get(&context, name), line, column);
  }

  MLIRContext context;
  std::string text;
};

TEST_F(DiagnosticsTest, AFileWithoutALineIsNamedAlone) {
  emitError(file("model")) << "tensor 'x' is missing";
  EXPECT_EQ(text, "model: error: tensor 'x' is missing");
}

TEST_F(DiagnosticsTest, LinesAndColumnsAreGivenWhereThereAreAny) {
  emitError(file("exec.mlir", 3, 14)) << "unknown dimension";
  EXPECT_EQ(text, "exec.mlir:3:14: error: unknown dimension");
  emitWarning(file("config.json", 3)) << "unknown key";
  EXPECT_EQ(text, "config.json:3: warning: unknown key");
}

TEST_F(DiagnosticsTest, AMessageThatNamesAFileInTheFolderIsNotSaidTwice) {
  emitError(file("model")) << "model/config.json: 'hidden_size': expected an integer";
  EXPECT_EQ(text, "model/config.json: error: 'hidden_size': expected an integer");
  emitError(file("model")) << "model";
  EXPECT_EQ(text, "model: error: model");
}

TEST_F(DiagnosticsTest, AModuleOfTheModelIsAPlace) {
  emitError(NameLoc::get(StringAttr::get(&context, "model.layers.3.mlp"), file("model"))) << "cannot be lowered";
  EXPECT_EQ(text, "model.layers.3.mlp: error: cannot be lowered");
}

TEST_F(DiagnosticsTest, WithoutAPlaceOnlyTheMessageIsLeft) {
  emitError(UnknownLoc::get(&context)) << "no memory";
  EXPECT_EQ(text, "error: no memory");
}

TEST_F(DiagnosticsTest, NotesFollowOnLinesOfTheirOwn) {
  {
    InFlightDiagnostic error = emitError(file("a")) << "found two";
    error.attachNote(file("b", 7)) << "the other one";
  }
  EXPECT_EQ(text, "a: error: found two\n  b:7: note: the other one");
}

TEST(FormatBytes, HasTheUnitThatReadsBest) {
  EXPECT_EQ(formatBytes(0), "0 B");
  EXPECT_EQ(formatBytes(1023), "1023 B");
  EXPECT_EQ(formatBytes(1024), "1.0 KiB");
  EXPECT_EQ(formatBytes(1536 * 1024), "1.5 MiB");
  EXPECT_EQ(formatBytes(uint64_t(3) << 40), "3.0 TiB");
  EXPECT_EQ(formatBytes(uint64_t(2048) << 40), "2048.0 TiB");
}

} // namespace
