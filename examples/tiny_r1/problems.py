"""The arithmetic that Tiny-R1 learns: questions, the worked steps, the answer.

A tiny model adds like a child on paper: numbers are written with the last digit first, one line a digit, the carry
spelled out. So 347 + 58 becomes

    743+85        both numbers reversed
    7+8+0=15      last digits, carry in; carry out and digit
    4+5+1=10
    3+0+1=04
    :504          the digits of the result, still reversed

and the answer is 405. Subtraction borrows the same way (`<` marks a first number that is smaller: the difference is
then taken the other way round and the answer is negative). Multiplication makes one reversed partial product a digit of
the second factor, shifted by zeros, and adds each to the sum so far.

Training and held-out problems are disjoint by construction: a hash of (operation, operands) decides.
"""

import hashlib
import random

QUESTIONS = {
    "+": ["What is {a} + {b}?", "{a} + {b}", "Compute {a} + {b}.", "What is {a} plus {b}?", "Add {a} and {b}."],
    "-": ["What is {a} - {b}?", "{a} - {b}", "Compute {a} - {b}.", "What is {a} minus {b}?"],
    "*": ["What is {a} * {b}?", "{a} * {b}", "Compute {a} * {b}.", "What is {a} times {b}?", "Multiply {a} by {b}."],
}


def is_held_out(operation, a, b):
    digest = hashlib.sha256(f"{operation} {a} {b}".encode()).digest()
    return digest[0] < 13  # about one problem in twenty


def digit(reversed_number, place):
    return int(reversed_number[place]) if place < len(reversed_number) else 0


def addition_lines(a, b):
    """Lines of a + b for reversed digit strings, and the reversed sum."""
    lines, result, carry = [], "", 0
    for place in range(max(len(a), len(b))):
        x, y = digit(a, place), digit(b, place)
        total = x + y + carry
        lines.append(f"{x}+{y}+{carry}={total:02d}")
        carry, result = total // 10, result + str(total % 10)
    if carry:
        result += str(carry)
    return lines, result


def subtraction_lines(a, b):
    """Lines of a - b >= 0 for reversed digit strings, and the reversed difference."""
    lines, result, borrow = [], "", 0
    for place in range(max(len(a), len(b))):
        x, y = digit(a, place), digit(b, place)
        difference = x - y - borrow
        next_borrow = 1 if difference < 0 else 0
        difference += 10 * next_borrow
        lines.append(f"{x}-{y}-{borrow}={next_borrow}{difference}")
        borrow, result = next_borrow, result + str(difference)
    return lines, result.rstrip("0") or "0"


def product_lines(a, factor):
    """Lines of a * factor for a reversed digit string and one digit, and the reversed product."""
    lines, result, carry = [], "", 0
    for x in a:
        total = int(x) * factor + carry
        lines.append(f"{x}*{factor}+{carry}={total:02d}")
        carry, result = total // 10, result + str(total % 10)
    if carry:
        result += str(carry)
    return lines, result.rstrip("0") or "0"


def reason(operation, a, b):
    """The steps of one problem, as the text between the think tags."""
    ra, rb = str(a)[::-1], str(b)[::-1]
    if operation == "+":
        lines, result = addition_lines(ra, rb)
        return "\n".join([f"{ra}+{rb}", *lines, f":{result}"])
    if operation == "-":
        smaller = a < b
        lines, result = subtraction_lines(rb, ra) if smaller else subtraction_lines(ra, rb)
        return "\n".join([f"{ra}-{rb}" + ("<" if smaller else ""), *lines, f":{result}"])
    steps, total = [f"{ra}*{rb}"], None
    for place, factor in enumerate(rb):
        lines, product = product_lines(ra, int(factor))
        product = "0" * place + product if product != "0" else "0"
        steps += [*lines, f":{product}"]
        if total is None:
            total = product
        else:
            lines, total = addition_lines(total, product)
            steps += [*lines, f":{total}"]
    return "\n".join(steps)


def answer(operation, a, b):
    return str({"+": a + b, "-": a - b, "*": a * b}[operation])


def draw(rng):
    """One random problem: lengths are drawn evenly, so that short numbers are as common as long ones."""
    operation = rng.choice("++--***")
    lengths = (rng.randint(1, 3), rng.randint(1, 2)) if operation == "*" else (rng.randint(1, 4), rng.randint(1, 4))
    a, b = (rng.randint(0 if n == 1 else 10 ** (n - 1), 10**n - 1) for n in lengths)
    return operation, a, b


def problems(seed, held_out):
    """An endless stream of (question, reasoning, answer)."""
    rng = random.Random(seed)
    while True:
        operation, a, b = draw(rng)
        if is_held_out(operation, a, b) != held_out:
            continue
        question = rng.choice(QUESTIONS[operation]).format(a=a, b=b)
        yield question, reason(operation, a, b), answer(operation, a, b)


def held_out_set(count, seed=20250120):
    """`count` different held-out problems, the same at every call."""
    seen, result = set(), []
    for problem in problems(seed, held_out=True):
        if problem[0] not in seen:
            seen.add(problem[0])
            result.append(problem)
            if len(result) == count:
                return result


if __name__ == "__main__":
    # This is how held_out.tsv was made.
    for question, _, result in held_out_set(1000):
        print(question, result, sep="\t")
