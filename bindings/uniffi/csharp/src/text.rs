/// Text with indentation.
#[derive(Default)]
pub(crate) struct Text {
    text: String,
    depth: usize,
}

impl Text {
    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        for _ in 0..self.depth {
            self.text.push_str("    ");
        }
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    pub(crate) fn open(&mut self) {
        self.line("{");
        self.depth += 1;
    }

    pub(crate) fn close(&mut self) {
        self.close_with("");
    }

    /// Closes a block, with something behind the brace.
    pub(crate) fn close_with(&mut self, behind: &str) {
        // The blank line after the last member of a block belongs to no one.
        if self.text.ends_with("\n\n") {
            self.text.pop();
        }
        self.depth -= 1;
        self.line(format!("}}{behind}"));
    }

    /// The documentation of what follows.
    pub(crate) fn summary(&mut self, documentation: Option<&str>) {
        let Some(documentation) = documentation else { return };
        self.line("/// <summary>");
        for line in documentation.trim().lines() {
            let escaped = line.trim().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            self.line(format!("/// {escaped}").trim_end());
        }
        self.line("/// </summary>");
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}
